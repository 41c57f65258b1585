import { expect, it } from 'vitest';
import { reconnectDelay } from './connection.ts';
import { PendingRequests } from './pending-requests.ts';

it('dials again later and later, up to 10 s, and never in step with others', () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    const full = Math.min(10_000, 200 * 2 ** attempt);
    const delays = Array.from({ length: 50 }, () => reconnectDelay(attempt));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(full / 2);
    expect(Math.max(...delays)).toBeLessThan(full + 1);
    expect(new Set(delays).size).toBeGreaterThan(10);
  }
});

it('tells replies apart by their ids, and gives the server’s own words', async () => {
  const pending = new PendingRequests();
  const ids: number[] = [];
  const send = (id: number) => ids.push(id) > 0;
  const [first, second] = [pending.ask(send), pending.ask(send)];
  pending.settle({ id: 99, ok: true, result: 'nobody asked' });
  pending.settle({ id: ids[1]!, ok: false, error: 'not of this host' });
  pending.settle({ id: ids[0]!, ok: true, result: 7 });
  expect(await first).toBe(7);
  await expect(second).rejects.toThrow('not of this host');
});

it('fails what waits when the connection is lost, and what is asked without one', async () => {
  const pending = new PendingRequests();
  const waiting = pending.ask(() => true);
  pending.failAll('the connection was lost');
  await expect(waiting).rejects.toThrow('the connection was lost');
  await expect(pending.ask(() => false)).rejects.toThrow('there is no connection');
});
