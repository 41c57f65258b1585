import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** A Prometheus registry of one process, with constructors that register in it. */
export interface Metrics {
  registry: Registry;
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string = never>(name: string, help: string, labels?: readonly L[]): Gauge<L>;
  /** @param buckets upper bounds, in the metric's unit: seconds, by Prometheus' convention */
  histogram<L extends string = never>(
    name: string,
    help: string,
    labels?: readonly L[],
    buckets?: number[],
  ): Histogram<L>;
}

const defaultSecondsBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Makes the registry of a process: the metrics of Node itself and those added. Every one carries the label
 * `process=<name>`.
 */
export function createMetrics(name: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ process: name });
  // Statistics of the event loop's lag take a timer that rings a hundred times a second, a quarter of what an idle server
  // cost. What remains is the lag of the moment, taken when it is asked for.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 60_000 });
  for (const part of ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'])
    registry.removeSingleMetric(`nodejs_eventloop_lag_${part}_seconds`);
  const registers = [registry];
  return {
    registry,
    counter: (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers }),
    gauge: (name, help, labelNames = []) => new Gauge({ name, help, labelNames, registers }),
    histogram: (name, help, labelNames = [], buckets = defaultSecondsBuckets) =>
      new Histogram({ name, help, labelNames, buckets, registers }),
  };
}
