/** Tools and thoughts: which dialect a template speaks, and reading answers in it. Fetched for sessions with tools, and for models that think. */
export { divide, limit, tell } from './tell.ts';
