/** How a host is emptied. The names are those of `kubectl drain`, in the API's own spelling. */
export interface DrainOptions {
  /** How long it may take (s). Then it fails, or with `force` deletes what is left. */
  deadlineSeconds: number;
  /** Pods that nobody makes again are deleted too; and at the deadline, what budgets still protect. */
  force: boolean;
  /** Overrides what pods ask for (s); null: as they ask. */
  gracePeriodSeconds: number | null;
  /** Pods whose emptyDir volumes are lost with them may go. */
  deleteEmptyDirData: boolean;
}

export const drainDefaults: DrainOptions = {
  deadlineSeconds: 3600,
  force: false,
  gracePeriodSeconds: null,
  deleteEmptyDirData: false,
};

/** Of a host that is removed nothing stays anyway, so its pods may go, as long as budgets allow; and sooner or never. */
export const removalDefaults: DrainOptions = {
  ...drainDefaults,
  deadlineSeconds: 600,
  deleteEmptyDirData: true,
};

/** What was found so far, kept as `Operation.details`. */
export interface DrainDetails {
  cordonedAt?: string;
  /** Nothing that is to leave is left. */
  drainedAt?: string;
  /** Pods that were to leave when it began, and those still there. */
  pods?: { total: number; left: number };
  blocked?: BlockedPod[];
  /** Why its pods were not evicted at all. */
  skipped?: string;
  /** Its Node is gone from the cluster. */
  nodeRemovedAt?: string;
  /** The last thing that went wrong and is tried again. */
  lastError?: string;
  /** Why it is given up. */
  error?: { code: string; message: string };
}

export interface BlockedPod {
  namespace: string;
  pod: string;
  /** Name of the PodDisruptionBudget, where the API server tells it. */
  budget: string | null;
  /** In the API server's words. */
  message: string;
  /** RFC 3339. */
  since: string;
}
