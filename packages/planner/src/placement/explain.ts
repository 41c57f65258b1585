import type { PlannerHost } from '../types.ts';
import { listWords } from '../words.ts';
import type { Candidate, Candidates } from './candidates.ts';

/** Others that are told of in one reason: it is to be read. */
const mostOthers = 4;

/** Why each of these hosts was chosen, by its id; nothing where all hosts are alike to the service. */
export function explain({ all }: Candidates, chosen: readonly PlannerHost[]): Record<string, string> {
  return Object.fromEntries(
    chosen.flatMap((host): [string, string][] => {
      const own = all.get(host.id)!;
      const merits = own.merits.length === 0 ? [] : [`it ${listWords(own.merits)}`];
      const others = [...all.values()]
        .filter((c) => !chosen.includes(c.host))
        .flatMap((c) => passedOver(c, own));
      const more = others.length - mostOthers;
      const told = more > 0 ? [...others.slice(0, mostOthers), `${more} more hosts likewise`] : others;
      const words = [...merits, ...told].join('; ');
      return words === '' ? [] : [[host.id, words]];
    }),
  );
}

function passedOver(other: Candidate, chosen: Candidate): string[] {
  const { host, refusals, reservations, bad } = other;
  if (refusals.length > 0) return [`${host.name} refused: it ${listWords(refusals)}`];
  if (reservations.length > chosen.reservations.length)
    return [`${host.name} comes after it: it ${listWords(reservations)}`];
  return bad === null || chosen.bad !== null ? [] : [`${host.name} passed over: ${bad}`];
}

/** What keeps the service from each host that is not for it, by host id. */
export function refusalsOf({ all }: Candidates): Record<string, string> {
  return Object.fromEntries(
    [...all.values()]
      .filter((c) => c.refusals.length > 0)
      .map((c) => [c.host.id, `it ${listWords(c.refusals)}`]),
  );
}
