// The page of the browser stories: the built package as an app would import it, and a log of what the content security policy refused.
import { Octavo } from '/dist/index.js';

globalThis.Octavo = Octavo;
globalThis.violations = [];
document.addEventListener('securitypolicyviolation', (event) =>
  globalThis.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
);
globalThis.ready = true;
