import { DomainError, type ErrorCode, errorCodes } from '@rancher/domain';
import type { FastifyError } from 'fastify';
import { type Static, Type } from 'typebox';
import { component } from './components.ts';
import { databaseIsGone } from './database-gone.ts';

/** RFC 9457, with our stable `code`, a JSON pointer into the body, and the request id that the log has too. */
const problemSchema = Type.Object({
  type: Type.String({ description: 'URN of the code' }),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String({ enum: Object.keys(errorCodes), description: 'Stable: for programs' }),
  detail: Type.String({ description: 'For people' }),
  pointer: Type.Optional(Type.String({ description: 'JSON pointer (RFC 6901) to the field of the body' })),
  parameter: Type.Optional(Type.String({ description: 'Name of the query, path or header parameter' })),
  requestId: Type.String(),
});
export type Problem = Static<typeof problemSchema>;
export const problem = component('Problem', problemSchema);

const titles: Record<number, string> = {
  400: 'Bad request',
  401: 'Unauthenticated',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Body too large',
  415: 'Unsupported media type',
  422: 'Unprocessable',
  428: 'Precondition required',
  429: 'Too many requests',
  500: 'Internal error',
  502: 'Bad gateway',
  503: 'Unavailable',
  507: 'Insufficient storage',
};

interface Described {
  status: number;
  code: ErrorCode;
  detail: string;
  pointer?: string;
  parameter?: string;
}

/** Any error as a problem. What is not ours to show becomes `internal` without its message. */
export function toProblem(error: unknown, requestId: string): Problem {
  const { status, code, detail, pointer, parameter } = describe(error);
  return {
    type: `urn:rancher:error:${code}`,
    title: titles[status] ?? 'Error',
    status,
    code,
    detail,
    ...(pointer === undefined ? {} : { pointer }),
    ...(parameter === undefined ? {} : { parameter }),
    requestId,
  };
}

function describe(error: unknown): Described {
  if (error instanceof DomainError) {
    return {
      status: errorCodes[error.code],
      code: error.code,
      detail: error.message,
      ...(error.pointer === undefined ? {} : { pointer: error.pointer }),
    };
  }
  const fastify = error as Partial<FastifyError>;
  if (fastify.validation !== undefined) return describeValidation(fastify as FastifyError);
  if (databaseIsGone(error)) {
    return { status: 503, code: 'unavailable', detail: 'The database cannot be reached; try again shortly.' };
  }
  if (typeof fastify.code === 'string' && fastify.code.startsWith('FST_ERR_CTP')) {
    return {
      status: fastify.statusCode ?? 400,
      code: 'invalid_request',
      detail: fastify.message ?? 'The body cannot be read.',
    };
  }
  if (fastify.statusCode === 400 && error instanceof SyntaxError) {
    return { status: 400, code: 'invalid_request', detail: 'The body is not JSON.' };
  }
  return {
    status: 500,
    code: 'internal',
    detail: 'Something went wrong. The log of the server has it under this request id.',
  };
}

/** What Ajv found first, in words with the place. Fields are judged one at a time, so there is one place. */
function describeValidation(error: FastifyError): Described {
  const first = error.validation?.[0];
  const where = error.validationContext ?? 'body';
  if (first === undefined) return { status: 400, code: 'invalid_request', detail: 'Invalid request.' };
  const params = first.params as {
    additionalProperty?: string;
    missingProperty?: string;
    allowedValues?: unknown[];
  };
  const field = params.additionalProperty ?? params.missingProperty;
  const pointer = field === undefined ? first.instancePath : `${first.instancePath}/${escapePointer(field)}`;
  const at = where === 'body' ? { pointer } : { parameter: pointer.slice(1).split('/')[0] || where };
  const name = where === 'body' ? pointer || 'The body' : (at as { parameter: string }).parameter;
  if (first.keyword === 'additionalProperties') {
    return {
      status: 400,
      code: 'unknown_field',
      detail: `${name} is not a field that is known here.`,
      ...at,
    };
  }
  if (first.keyword === 'required') {
    return { status: 400, code: 'invalid_request', detail: `${name} is required.`, ...at };
  }
  const allowed = params.allowedValues === undefined ? '' : `: ${params.allowedValues.join(', ')}`;
  return {
    status: 400,
    code: 'invalid_value',
    detail: `${name} ${first.message ?? 'is invalid'}${allowed}.`,
    ...at,
  };
}

function escapePointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1');
}
