import { createReadStream } from 'node:fs';
import { DomainError } from '@rancher/domain';
import { Type } from 'typebox';
import { notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { anything, closed, problems } from '../../../http/schemas.ts';
import { isJoiningProgram } from '../../../joining/programs.ts';

const bytes = Type.Unsafe<unknown>({ type: 'string', format: 'binary' });
const part = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$' });

/**
 * Programs for hosts, by their pinned version, for a host's credential: hosts need no internet. The manifest names each
 * file's SHA-256, which is its ETag too.
 */
export function artifacts(app: App, context: Context): void {
  app.get(
    '/v1/agent/artifacts/:name/:version',
    {
      config: { auth: 'host' },
      schema: {
        operationId: 'getArtifact',
        tags: ['hosts'],
        summary: 'Read the manifest of a program (for agents)',
        params: closed({ name: part, version: part }),
        response: {
          200: anything('name, version, arch, source, files'),
          ...problems('not_found', 'unknown_version', 'artifact_unavailable'),
        },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-cache');
      return manifestOf(context, request.params) as unknown as Promise<Record<string, unknown>>;
    },
  );

  app.get(
    '/v1/agent/artifacts/:name/:version/:file',
    {
      config: { auth: 'joining' },
      schema: {
        operationId: 'getArtifactFile',
        tags: ['hosts'],
        summary: 'Read a file of a program (for agents)',
        description: 'The agent and the Node that runs it: for a registration token too.',
        params: closed({ name: part, version: part, file: part }),
        response: {
          200: {
            description: 'Its bytes',
            content: { 'application/octet-stream': { schema: bytes } },
          },
          304: { type: 'null', description: 'It is what If-None-Match names' },
          ...problems(
            'not_found',
            'unknown_version',
            'artifact_unavailable',
            'token_expired',
            'token_spent',
            'token_revoked',
          ),
        },
      },
    },
    async (request, reply) => {
      const { file, ...ref } = request.params;
      if (request.principal?.kind === 'joining' && !isJoiningProgram(ref)) {
        throw new DomainError(
          'forbidden',
          'A registration token opens the agent and its Node, nothing else.',
        );
      }
      const manifest = (await context.artifacts.manifest(ref)) ?? (await manifestOf(context, ref));
      const entry = manifest.files[file];
      if (entry === undefined || !Object.hasOwn(manifest.files, file)) throw notFound('file', file);
      const etag = `"${entry.sha256}"`;
      reply.header('etag', etag);
      if (request.headers['if-none-match'] === etag) {
        reply.code(304);
        return null;
      }
      return reply
        .header('content-length', entry.size)
        .type('application/octet-stream')
        .send(createReadStream(context.artifacts.filePath(ref, file)));
    },
  );
}

/** An agent is told to come again rather than kept waiting, as making a program may take minutes (ms). */
const patienceMs = 20_000;

/** The manifest of a sound copy. What is not there is fetched or built; whoever asks meanwhile is told to come again. */
async function manifestOf({ artifacts, logger }: Context, ref: { name: string; version: string }) {
  const ensured = artifacts.ensure(ref);
  ensured.catch((error: unknown) => logger.warn({ err: error, artifact: ref }, 'artifact not to be had'));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new DomainError('artifact_unavailable', `${ref.name}-${ref.version} is being fetched; ask again.`),
        ),
      patienceMs,
    );
  });
  try {
    return await Promise.race([ensured, late]);
  } finally {
    clearTimeout(timer);
  }
}
