/** Octavo in browsers: compact models on the device itself. */
import { createFace } from './face/octavo.ts';
import { createBrowserFace } from './platform/browser.ts';

export const Octavo = /* @__PURE__ */ createFace(/* @__PURE__ */ createBrowserFace());
export * from './public.ts';
