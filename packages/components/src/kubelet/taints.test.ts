import { expect, it } from 'vitest';
import { controlPlaneTaint, nodeTaints, taintsChanged } from './taints.ts';

const other = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' };

it.each([
  [{}, {}, []],
  [{ planes: 'overlapping' as const }, { etcd: 'true' }, []],
  [{ planes: 'isolated' as const }, { etcd: 'true' }, [controlPlaneTaint]],
  [{ planes: 'isolated' as const }, { compute: 'true', etcd: 'true' }, []],
  [{ planes: 'isolated' as const }, { compute: 'false' }, [controlPlaneTaint]],
  [{ planes: 'isolated' as const }, {}, [controlPlaneTaint]],
])('with the options %j and the labels %j', (options, labels, taints) => {
  expect(nodeTaints(options, labels)).toEqual(taints);
});

it.each([
  [[], [], null],
  [[other], [controlPlaneTaint], [other, controlPlaneTaint]],
  [[controlPlaneTaint, other], [], [other]],
  [[controlPlaneTaint, other], [controlPlaneTaint], null],
])('a Node with %j that should have %j', (present, wanted, taints) => {
  expect(taintsChanged(present, wanted)).toEqual(taints);
});
