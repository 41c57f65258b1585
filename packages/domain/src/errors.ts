/**
 * Errors with a stable code, a message that may be shown to the caller, and optionally the field it is about. The
 * internal cause stays in the log.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  /** JSON pointer (RFC 6901) to the field, such as `/spec/podCidr`. */
  readonly pointer: string | undefined;
  constructor(code: ErrorCode, message: string, options: { pointer?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'DomainError';
    this.code = code;
    this.pointer = options.pointer;
  }
}

/** Code → HTTP status. The codes are part of the API: add, never rename. */
export const errorCodes = {
  invalid_request: 400,
  unknown_field: 400,
  invalid_value: 400,
  unknown_version: 400,
  cidr_overlap: 400,
  cidr_too_small: 400,
  unauthenticated: 401,
  token_expired: 401,
  token_spent: 401,
  token_revoked: 401,
  identity_replaced: 401,
  forbidden: 403,
  not_found: 404,
  name_taken: 409,
  conflict: 409,
  host_elsewhere: 409,
  identity_in_use: 409,
  stale_generation: 409,
  stale_etag: 412,
  idempotency_mismatch: 422,
  wrong_host_kind: 422,
  precondition_required: 428,
  rate_limited: 429,
  insufficient_storage: 507,
  artifact_corrupt: 502,
  artifact_unavailable: 503,
  host_unreachable: 503,
  environment_not_ready: 503,
  unavailable: 503,
  internal: 500,
} as const;
export type ErrorCode = keyof typeof errorCodes;
