import '../common/theme/index.css';
import './studio.css';
import '../common/toasts.ts';
import '../common/models/manager.ts';
import '../common/models/button.ts';
import './chooser.ts';
import './chat/view.ts';
import './chat/kept.ts';
import './paint/canvas.ts';
import './paint/options.ts';
import './paint/view.ts';
import './edit/compare.ts';
import './edit/view.ts';
import './library/view.ts';
import './preferences.ts';
import './app.ts';
import { startServiceWorker } from '../common/pwa.ts';

startServiceWorker();
