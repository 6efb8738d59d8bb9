'use client';
import { useEffect, useState } from 'react';
import { Octavo } from 'octavo';
import { use } from './use.js';

export default function Page() {
  const [state, setState] = useState('loading');
  useEffect(() => {
    globalThis.outcome = use(Octavo, '/models/nano.gguf').catch((error) => ({
      error: `${error.name}: ${error.message}`,
    }));
    globalThis.outcome.then((result) => setState(JSON.stringify(result)));
  }, []);
  return <main>{state}</main>;
}
