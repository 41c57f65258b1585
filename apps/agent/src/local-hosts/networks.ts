import { defaultHostNetwork } from '@rancher/domain';
import { readJson, writeFileIfChanged } from '../files.ts';
import { mostNetworks, networkFile } from './names.ts';

/** A subnet of local hosts on a bridge of its own. Those of one installation reach each other through the machine. */
export interface Network {
  name: string;
  /** 0 is the network `default`. */
  index: number;
  subnet: string;
}

/** What is kept in `<home>/network.json`: the first network's subnet, and the others. */
interface Kept {
  subnet: string;
  others?: Network[];
}

/** The networks of an installation, as they were chosen; the first is the default. Empty before it has one. */
export function knownNetworks(home: string): Network[] {
  const kept = readJson<Kept>(networkFile(home));
  if (kept === undefined) return [];
  return [{ name: defaultHostNetwork, index: 0, subnet: kept.subnet }, ...(kept.others ?? [])];
}

/** The network of that name, chosen and kept when it is new. One call at a time. */
export async function keepNetwork(
  home: string,
  name: string,
  chooseSubnet: () => Promise<string>,
): Promise<Network> {
  const found = knownNetworks(home).find((network) => network.name === name);
  if (found !== undefined) return found;
  const subnet = await chooseSubnet();
  const known = knownNetworks(home);
  if (known.length >= mostNetworks) throw new Error(`there are ${mostNetworks} networks already`);
  const network: Network = { name, index: name === defaultHostNetwork ? 0 : known.length, subnet };
  const [first = network, ...others] = [...known, network];
  const kept: Kept = { subnet: first.subnet, ...(others.length === 0 ? {} : { others }) };
  writeFileIfChanged(networkFile(home), JSON.stringify(kept), 0o644);
  return network;
}
