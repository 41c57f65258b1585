import type { App, Context } from '../../../context.ts';
import { artifacts } from './artifacts.ts';
import { join } from './join.ts';

/** What agents call over HTTP; their sockets are in src/agents. */
export function agent(app: App, context: Context): void {
  join(app, context);
  artifacts(app, context);
}
