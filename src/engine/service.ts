/** The engine behind an endpoint: it answers the page's calls (`src/worker/api.ts`). */
import type { Platform } from '../platform/platform.ts';
import type { EngineApi } from '../worker/api.ts';
import type { Endpoint } from '../worker/protocol.ts';
import { respond } from '../worker/responder.ts';
import { modelCalls } from './calls/models.ts';
import { paintingCalls } from './calls/painting.ts';
import { promptCalls } from './calls/prompts.ts';
import { sessionCalls } from './calls/sessions.ts';
import { textCalls } from './calls/texts.ts';
import { HostedModels } from './hosted.ts';
import type { OpenDevice } from './model.ts';

export function serveEngine(endpoint: Endpoint, platform: Platform, open?: OpenDevice): void {
  const models = new HostedModels();
  const cancel = respond<EngineApi>(endpoint, {
    ...modelCalls(models, platform, open, (model) => cancel((params) => 'model' in params && params.model === model)),
    ...sessionCalls(models),
    ...promptCalls(models),
    ...paintingCalls(models),
    ...textCalls(models),
  });
}
