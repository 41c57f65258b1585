import { type FileSpec, hostPaths, servicePath } from '@rancher/domain';
import { pauseImageArchive } from './pause-image.ts';

/** The pause image as a file of the spec: base64, since files of a spec are text. */
export function pauseImageFile(arch: 'amd64' | 'arm64'): FileSpec {
  const base64 = pauseImageArchive(arch).toString('base64');
  return {
    path: servicePath('containerd', 'pause-image.tar.b64'),
    mode: 0o644,
    content: `${(base64.match(/.{1,76}/g) ?? []).join('\n')}\n`,
  };
}

interface Programs {
  containerd: string;
  ctr: string;
  configuration: string;
  image: string;
}

/**
 * Starts containerd, and beside it imports the pause image as soon as containerd answers, so that pods need no registry
 * to start. The shell becomes containerd by `exec`: the process that is supervised is containerd itself. The importer
 * gives up after half a minute, or when containerd is gone.
 */
export function startCommand({ containerd, ctr, configuration, image }: Programs): string[] {
  const importImage = `base64 -d ${image} | ${ctr} -a ${hostPaths.containerdSocket} -n k8s.io images import --local -`;
  const script = [
    `p=$$; (i=0; until ${importImage} || [ $i -ge 300 ]; do`,
    'i=$((i+1)); kill -0 $p || exit; sleep 0.1; done) >/dev/null 2>&1 &',
    `exec ${containerd} --config ${configuration}`,
  ].join(' ');
  return ['/bin/sh', '-c', script];
}
