import { InvalidArgumentError, Option } from 'commander';

export const defaultEnvironment = 'default';

export const environmentOption = () =>
  new Option('-e, --environment <name>', 'environment, by name or id').default(defaultEnvironment);
export const jsonOption = () => new Option('--json', 'answer in JSON').default(false);
export const waitOption = () => new Option('--wait', 'until it is done').default(false);
export const timeoutOption = (seconds: number) =>
  new Option('--timeout <seconds>', 'how long --wait waits')
    .default(seconds)
    .argParser(wholeNumber(1, 86_400));

/** Parses a whole number within bounds; commander names the option or argument it is of. */
export function wholeNumber(minimum: number, maximum: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`);
    }
    return value;
  };
}

/** Collects `--label key=value` into an object. */
export function keyValue(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
