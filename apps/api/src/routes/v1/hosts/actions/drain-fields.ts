import { Type } from 'typebox';

/** What can be chosen of a drain; the words are those of `kubectl drain`. */
export const drainFields = {
  deadlineSeconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 86_400,
      description:
        'How long its pods have to leave. Then the operation fails, or with `force` deletes them. Default 3600; 600 when ' +
        'the host is removed.',
    }),
  ),
  gracePeriodSeconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 86_400,
      description: 'Instead of what the pods ask for themselves.',
    }),
  ),
  force: Type.Optional(
    Type.Boolean({
      description:
        'Pods that nobody makes again go too; at the deadline, what PodDisruptionBudgets still protect is deleted.',
    }),
  ),
  deleteEmptyDirData: Type.Optional(
    Type.Boolean({ description: 'Pods whose emptyDir volumes are lost with them go too.' }),
  ),
};
