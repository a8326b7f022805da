import axios from 'axios';
import { make } from './make.cjs';

export const { guardedAdapter } = make(axios);
