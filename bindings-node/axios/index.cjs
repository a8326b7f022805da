'use strict';

const { make } = require('./make.cjs');

const { guardedAdapter } = make(require('axios'));

module.exports = { guardedAdapter };
