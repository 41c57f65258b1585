import type { App, Context } from '../../../context.ts';
import { artifacts } from './artifacts.ts';
import { install } from './install.ts';
import { join } from './join.ts';
import { leave } from './leave.ts';

/** What agents call over HTTP; their sockets are in src/agents. */
export function agent(app: App, context: Context): void {
  install(app, context);
  join(app, context);
  leave(app, context);
  artifacts(app, context);
}
