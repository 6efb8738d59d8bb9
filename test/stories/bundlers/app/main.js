import { Octavo } from 'octavo';
import { use } from './use.js';

globalThis.outcome = use(Octavo, '/models/nano.gguf').catch((error) => ({ error: `${error.name}: ${error.message}` }));
