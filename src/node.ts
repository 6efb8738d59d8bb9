/** Octavo in Node and Electron: the same face, with paths for files. */
import { createFace } from './face/octavo.ts';
import { createNodeFace } from './platform/node.ts';

export const Octavo = /* @__PURE__ */ createFace(/* @__PURE__ */ createNodeFace());
export * from './public.ts';
