import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';

type Compile = ReturnType<ReturnType<typeof SerializerSelector>>;
type Serialize = ReturnType<Compile>;

const select = SerializerSelector();

/**
 * Serializers of answers, each made when it is first needed, and once for all routes that answer the same schema. Made
 * all at once they cost more than two seconds of processor time at each start, most of them for answers never given.
 */
export function buildSerializer(...[externalSchemas, options]: Parameters<typeof select>): Compile {
  const compile = select(externalSchemas, options);
  const made = new Map<string, Serialize>();
  return (route) => {
    const key = JSON.stringify(route.schema);
    return (data) => {
      let serialize = made.get(key);
      if (serialize === undefined) {
        serialize = compile(route);
        made.set(key, serialize);
      }
      return serialize(data);
    };
  };
}
