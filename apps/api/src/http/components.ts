import { type Static, type TSchema, type TUnsafe, Type } from 'typebox';

/** The named schemas of the OpenAPI document (`components.schemas`), by name. */
const registry = new Map<string, TSchema>();

/**
 * Names a schema in the OpenAPI document and gives a reference to it, with its type.
 * @throws when the name is already taken: two shapes under one name would silently become one.
 */
export function component<T extends TSchema>(name: string, schema: T): TUnsafe<Static<T>> {
  if (registry.has(name)) throw new Error(`schema ${name} is defined twice`);
  registry.set(name, { ...schema, $id: name });
  return Type.Unsafe<Static<T>>({ $ref: `${name}#` });
}

export function componentSchemas(): TSchema[] {
  return [...registry.values()];
}

/** A primitive that may also be null, in the form that OpenAPI 3.1 generators read best. */
export function nullable<T extends TSchema>(schema: T): TUnsafe<Static<T> | null> {
  const { type, ...rest } = schema as unknown as { type: string };
  return Type.Unsafe<Static<T> | null>({ ...rest, type: [type, 'null'] });
}
