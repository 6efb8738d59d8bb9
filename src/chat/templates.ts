/** Chat templates: the engine that renders them and what it finds out about each. Fetched only for models that have one. */
export { abilitiesOf } from './abilities.ts';
export { renderTurns } from './render.ts';
export { declaration, renderChat } from './template.ts';
