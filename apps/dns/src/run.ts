import { KubeClient } from '@rancher/kube-watch';
import type { DnsConfig } from './config.ts';
import { Counters, metricsText } from './metrics.ts';
import { followOwnNames } from './own-names.ts';
import { listenHttp } from './server/http.ts';
import { serve, zonesOf } from './server/serve.ts';
import { Threads, threadsOf } from './server/threads.ts';
import { ClusterZone } from './zone/cluster-zone.ts';
import { follow } from './zone/follow.ts';

export interface Running {
  close(): void;
}

/**
 * Starts the server: its own addresses first, as other names can be told at once; the cluster's names when they are known.
 * @param entry URL of the program, for further threads
 * @throws Error when an address or a port cannot be had
 */
export async function run(
  config: DnsConfig,
  log: (message: string) => void,
  fail: (error: Error) => void,
  entry: string,
): Promise<Running> {
  const serial = Math.floor(Date.now() / 1000);
  const zones = zonesOf(config, serial);
  const readyMemory = new SharedArrayBuffer(4);
  const ready = new Int32Array(readyMemory);
  const counters = new Counters();
  const zone = new ClusterZone(zones, config.serverAddress, (table) => {
    serving.setTable(table);
    threads.setTable(table);
  });
  const serving = await serve(config, zones, { table: zone.table, counters, isReady: () => ready[0] === 1 });
  const threads = new Threads(
    threadsOf(config) - 1,
    entry,
    { config, serial, table: zone.table.memory, ready: readyMemory },
    fail,
  );
  const client = new KubeClient(config.kubernetes);
  const following = follow({
    client,
    zone,
    snapshotPath: config.snapshotPath,
    onReady: () => {
      ready[0] = 1;
      log(`ready: ${zone.names} names`);
    },
    log,
  });
  const stopOwnNames = config.ownNames === undefined ? () => {} : followOwnNames(config.ownNames, zone, log);
  const http = await listenHttp(config.httpPort, {
    unready: () =>
      following.isReady()
        ? undefined
        : `the cluster's names are not known yet: ${following.error() ?? 'being listed'}`,
    metrics: () =>
      metricsText([counters, ...threads.counters], {
        names: zone.names,
        cacheEntries: serving.resolver.cache.size,
        cacheBytes: serving.resolver.cache.bytes,
        connected: following.error() === undefined,
        changedAt: zone.changedAt / 1000,
        residentBytes: process.memoryUsage.rss(),
      }),
  });
  return {
    close: () => {
      following.stop();
      stopOwnNames();
      client.close();
      serving.close();
      http.close();
    },
  };
}
