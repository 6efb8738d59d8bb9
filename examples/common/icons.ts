/** Icons of 24 by 24, drawn with lines in the colour of the text. They are decoration: what they are on has a name of its own. */
import { svg, html, type SVGTemplateResult, type TemplateResult } from 'lit';

const LINES = {
  add: svg`<path d="M12 5v14M5 12h14"/>`,
  arrowUp: svg`<path d="M12 19V5M6 11l6-6 6 6"/>`,
  back: svg`<path d="M15 5l-7 7 7 7"/>`,
  book: svg`<path d="M12 6.5C10 5 7 4.5 3.5 4.5v13c3.5 0 6.5 .5 8.5 2 2-1.5 5-2 8.5-2v-13C17 4.5 14 5 12 6.5zM12 6.5v13"/>`,
  brush: svg`<path d="M14.5 5.5l4-2.5 2.5 2.5-2.5 4-6 6-4-4zM8.5 11.5l4 4c0 3-2 5-8.5 5 2-1.5 1-2.5 1.5-5 .4-2 1.5-3.5 3-4z"/>`,
  camera: svg`<path d="M4 8h3l2-3h6l2 3h3a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1z"/><circle cx="12" cy="13" r="3.5"/>`,
  chat: svg`<path d="M20 15.5a2 2 0 0 1-2 2H9l-5 3.5V6a2 2 0 0 1 2-2h12a2 2 0 0 1 2 2z"/>`,
  check: svg`<path d="M5 12.5l4.5 4.5L19 7.5"/>`,
  chip: svg`<rect x="7" y="7" width="10" height="10" rx="1.5"/><path d="M10 3.5V7M14 3.5V7M10 17v3.5M14 17v3.5M3.5 10H7M3.5 14H7M17 10h3.5M17 14h3.5"/>`,
  close: svg`<path d="M6 6l12 12M18 6L6 18"/>`,
  copy: svg`<rect x="8.5" y="8.5" width="11" height="11" rx="2"/><path d="M15.5 5.5v-.5a1.5 1.5 0 0 0-1.5-1.5H6A1.5 1.5 0 0 0 4.5 5v8A1.5 1.5 0 0 0 6 14.5h.5"/>`,
  down: svg`<path d="M6 9.5l6 6 6-6"/>`,
  download: svg`<path d="M12 4v11M7 10.5l5 5 5-5M4.5 20h15"/>`,
  edit: svg`<path d="M14.5 5.5l4 4L8 20H4v-4zM12.5 7.5l4 4"/>`,
  file: svg`<path d="M14 3.5H7A1.5 1.5 0 0 0 5.5 5v14A1.5 1.5 0 0 0 7 20.5h10a1.5 1.5 0 0 0 1.5-1.5V8zM14 3.5V8h4.5"/>`,
  image: svg`<rect x="3.5" y="4.5" width="17" height="15" rx="2"/><circle cx="9" cy="10" r="1.5"/><path d="M20 15.5l-4.5-4.5L6 19.5"/>`,
  info: svg`<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.5M12 7.5v.01"/>`,
  keyboard: svg`<rect x="2.5" y="6" width="19" height="12" rx="2"/><path d="M6.5 10v.01M10 10v.01M14 10v.01M17.5 10v.01M8 14h8"/>`,
  library: svg`<path d="M4.5 4.5v15M9 4.5v15M13 5l5 14.5"/>`,
  link: svg`<path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1"/>`,
  menu: svg`<path d="M4 7h16M4 12h16M4 17h16"/>`,
  minus: svg`<path d="M5 12h14"/>`,
  more: svg`<path d="M5.5 12v.01M12 12v.01M18.5 12v.01"/>`,
  next: svg`<path d="M9 5l7 7-7 7"/>`,
  offline: svg`<path d="M3.5 3.5l17 17M8 15a6 6 0 0 1 6-1.2M4.5 11.5A11 11 0 0 1 9 8.8M12 6.5a13 13 0 0 1 8.5 4M12 19v.01"/>`,
  outline: svg`<path d="M4 6h16M8 12h12M8 18h12M4 12v.01M4 18v.01"/>`,
  panel: svg`<rect x="3.5" y="4.5" width="17" height="15" rx="2"/><path d="M14 4.5v15"/>`,
  pause: svg`<path d="M9 6v12M15 6v12"/>`,
  play: svg`<path d="M8 5.5v13l10.5-6.5z"/>`,
  quote: svg`<path d="M9.5 7C6.5 8 5 10 5 13v4h5v-5H7.5M18.5 7C15.5 8 14 10 14 13v4h5v-5h-2.5"/>`,
  redo: svg`<path d="M15.5 5l4 4-4 4M19 9H9.5a5 5 0 0 0 0 10H12"/>`,
  reload: svg`<path d="M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15"/>`,
  search: svg`<circle cx="11" cy="11" r="6.5"/><path d="M20 20l-4.3-4.3"/>`,
  settings: svg`<path d="M4 7h9M18 7h2M4 17h2M11 17h9"/><circle cx="15.5" cy="7" r="2.5"/><circle cx="8.5" cy="17" r="2.5"/>`,
  share: svg`<path d="M12 15V4M8 7.5L12 3.5l4 4M6.5 11H5.5v9.5h13V11h-1"/>`,
  stop: svg`<rect x="7" y="7" width="10" height="10" rx="1.5"/>`,
  trash: svg`<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 12.5a1 1 0 0 0 1 1h7a1 1 0 0 0 1-1L17.5 7M10 11v5.5M14 11v5.5"/>`,
  undo: svg`<path d="M8.5 5l-4 4 4 4M5 9h9.5a5 5 0 0 1 0 10H12"/>`,
  upload: svg`<path d="M12 16V5M7 9.5l5-5 5 5M4.5 20h15"/>`,
  warning: svg`<path d="M12 4.5l9 15.5H3zM12 10v4.5M12 17v.01"/>`,
} as const satisfies Readonly<Record<string, SVGTemplateResult>>;

export type IconName = keyof typeof LINES;

export function icon(name: IconName): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${LINES[name]}</svg>`;
}

/** A button that shows an icon only: its words are its name and its tooltip. */
export function iconButton(name: IconName, label: string, run: () => void, disabled = false): TemplateResult {
  return html`<button
    type="button"
    class="icon-button"
    aria-label=${label}
    title=${label}
    ?disabled=${disabled}
    @click=${run}
  >
    ${icon(name)}
  </button>`;
}
