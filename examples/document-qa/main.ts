import '../common/theme/index.css';
import '../common/toasts.ts';
import '../common/models/manager.ts';
import '../common/models/button.ts';
import { startServiceWorker } from '../common/pwa.ts';
startServiceWorker();
