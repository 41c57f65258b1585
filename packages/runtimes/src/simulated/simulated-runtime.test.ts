import { expect, it } from 'vitest';
import { describeRuntime } from '../conformance.ts';
import { SimulatedRuntime } from './simulated-runtime.ts';

describeRuntime('simulated', () => {
  const runtime = new SimulatedRuntime('simulated');
  return {
    open: () => runtime,
    request: (id) => ({ id, command: ['/bin/x'], env: {}, logFile: '/x.log', oomScoreAdj: 0, restarts: 0 }),
    crash: (run) => runtime.fail(run.id),
    dispose: () => {},
  };
});

it('refuses to exist unless asked by name', () => {
  expect(() => new SimulatedRuntime('process')).toThrow('not asked for');
});

it('says whether there was something to fail', () => {
  expect(new SimulatedRuntime('simulated').fail('ins_none')).toBe(false);
});
