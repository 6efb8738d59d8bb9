import { Octavo } from 'octavo';
import { nano } from 'octavo/nano';
import { use } from './use.js';

globalThis.outcome = use(Octavo, nano).catch((error) => ({ error: `${error.name}: ${error.message}` }));
