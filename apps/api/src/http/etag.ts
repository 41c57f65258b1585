import { DomainError } from '@rancher/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The ETag of a resource: its resourceVersion, which counts every write. */
export function etagOf(row: { resourceVersion: number }): string {
  return `"${row.resourceVersion}"`;
}

/** Sets the ETag, and answers 304 when the caller has it already. */
export function withEtag<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  row: { resourceVersion: number },
  view: T,
): T {
  const etag = etagOf(row);
  reply.header('etag', etag);
  if (request.headers['if-none-match'] === etag) reply.code(304);
  return view;
}

/**
 * Checks `If-Match` (RFC 9110, 13.1.1) before a change.
 * @throws DomainError `precondition_required` where it is required and missing; `stale_etag` where it names another.
 */
export function checkIfMatch(
  request: FastifyRequest,
  row: { resourceVersion: number },
  required: boolean,
): void {
  const given = request.headers['if-match'];
  if (given === undefined) {
    if (!required) return;
    throw new DomainError('precondition_required', 'Send If-Match with the ETag that you read, or `*`.');
  }
  if (given.trim() === '*') return;
  const tags = given.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (!tags.includes(etagOf(row))) {
    throw new DomainError(
      'stale_etag',
      `It has changed since: its ETag is now ${etagOf(row)}. Read it again.`,
    );
  }
}
