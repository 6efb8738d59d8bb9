import { Octavo } from 'octavo';
import { use } from './use.js';

use(Octavo, process.argv[2]).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => console.log(JSON.stringify({ error: `${error.name}: ${error.message}` })),
);
