import helmet from '@fastify/helmet';
import type { App } from '../../context.ts';

/** Headers against being framed, sniffed or scripted. /docs alone runs its own bundled script. */
export async function helmetPlugin(app: App): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'", "'unsafe-inline'"],
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'", 'data:'],
        connectSrc: ["'self'"],
        // one port answers plain HTTP on loopback, too
        upgradeInsecureRequests: null,
      },
    },
    strictTransportSecurity: false,
  });
}
