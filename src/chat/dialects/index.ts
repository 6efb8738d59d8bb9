/** Tools and thoughts: which dialect a template speaks, and reading answers in it. Fetched for sessions with tools, and for models that think. */
export { divide, limit, limitAfterThoughts, tell } from './tell.ts';
