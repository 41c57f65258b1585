import { type TSchema, type TUnsafe, Type } from 'typebox';

type Json = unknown;

function isObject(value: Json): value is Record<string, Json> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** JSON merge patch (RFC 7396): objects merge, null removes, all else replaces. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** The schema of a merge patch of a closed object whose fields are all optional: each may also be null. */
export function patchOf(schema: TSchema): TUnsafe<Record<string, unknown>> {
  return Type.Unsafe<Record<string, unknown>>(withNull(schema as JsonSchema, true));
}

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  properties?: Record<string, JsonSchema>;
  [keyword: string]: unknown;
}

function withNull({ $id: _id, ...schema }: JsonSchema, root: boolean): JsonSchema {
  const properties =
    schema.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(schema.properties).map(([name, property]) => [name, withNull(property, false)]),
          ),
        };
  const type = root ? {} : { type: [schema.type, 'null'] as unknown as string };
  const values = root || schema.enum === undefined ? {} : { enum: [...schema.enum, null] };
  return { ...schema, ...properties, ...type, ...values };
}
