import { type Client, createClient as createGeneratedClient } from './generated/client/index.ts';
import type { Problem } from './generated/types.gen.ts';

export interface ApiClientOptions {
  /** Where the server is, such as `http://127.0.0.1:8080`. */
  baseUrl: string;
  /** API key: `rk_…`. */
  key: string;
  /** In place of the global one, for tests or for a certificate of one's own. */
  fetch?: typeof fetch;
}
export type ApiClient = Client;

/**
 * A client for the generated functions: `listEnvironments({ client })`. Each answers `{ data, error, response }` and
 * throws only when the server cannot be reached; {@link unwrap} turns an error into a thrown one.
 */
export function createClient(options: ApiClientOptions): ApiClient {
  return createGeneratedClient({
    baseUrl: options.baseUrl,
    auth: () => options.key,
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
  });
}

/** What the server refused, with its problem (RFC 9457). */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: Partial<Problem>;

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail ?? `The server answered ${status}`);
    this.name = 'ApiError';
    this.status = status;
    this.problem = problem;
  }

  /** The stable code, such as `name_taken`. */
  get code(): string | undefined {
    return this.problem.code;
  }
}

/** The data of an answer. @throws ApiError when the server refused */
export async function unwrap<T>(
  answer: Promise<{ data?: T; error?: unknown; response?: Response }>,
): Promise<NonNullable<T>> {
  const { data, error, response } = await answer;
  if (response?.ok === true) return data as NonNullable<T>;
  const problem = typeof error === 'object' && error !== null ? (error as Partial<Problem>) : {};
  throw new ApiError(response?.status ?? 0, problem);
}
