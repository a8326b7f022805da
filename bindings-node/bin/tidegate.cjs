#!/usr/bin/env node
'use strict';
// The `tidegate` command: the core's, in this process.

const { addon } = require('../lib/native.cjs');

process.exitCode = addon.runCommand(['tidegate', ...process.argv.slice(2)]);
