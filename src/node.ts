/** Octavo in Node and Electron: the same face, with paths for files. */
import { createFace } from './face/octavo.ts';
import { createNodeFace } from './platform/node.ts';

/** As in browsers; files may be paths, and what is kept lies in the folder that `OCTAVO_CACHE` names. The engine runs in a worker thread. */
export const Octavo = /* @__PURE__ */ createFace(/* @__PURE__ */ createNodeFace());
export * from './public.ts';
