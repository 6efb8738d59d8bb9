import '../common/theme/index.css';
import './style/index.css';
import { startServiceWorker } from '../common/pwa.ts';
import './app.ts';
import type { DocumentApp } from './app.ts';
import { Workspace } from './state/workspace.ts';

const workspace = new Workspace();
const app = document.createElement('document-app') as DocumentApp & HTMLElement;
app.workspace = workspace;
document.querySelector('#app')?.replaceChildren(app);
// The first paint comes before models and documents.
requestAnimationFrame(() => setTimeout(() => void workspace.start(), 0));
startServiceWorker();
