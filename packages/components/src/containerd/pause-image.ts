import { createHash } from 'node:crypto';
import { pauseProgram } from './pause-program.ts';
import { tar } from './tar.ts';

/** The image of every pod's sandbox. No registry has it: each host imports it when its containerd starts. */
export const pauseImageName = 'localhost/rancher/pause:1';

const mediaTypes = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};

/** The pause image as a tar of an OCI image layout (v1): the same bytes each time. */
export function pauseImageArchive(arch: 'amd64' | 'arm64'): Buffer {
  const layer = tar([{ name: 'pause', mode: 0o755, content: pauseProgram(arch) }]);
  const config = json({
    architecture: arch,
    os: 'linux',
    config: { Entrypoint: ['/pause'], User: '65535:65535' },
    rootfs: { type: 'layers', diff_ids: [digest(layer)] },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: descriptor(mediaTypes.config, config),
    layers: [descriptor(mediaTypes.layer, layer)],
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(mediaTypes.manifest, manifest),
        platform: { os: 'linux', architecture: arch },
        annotations: { 'io.containerd.image.name': pauseImageName },
      },
    ],
  });
  return tar([
    { name: 'oci-layout', mode: 0o644, content: json({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', mode: 0o644, content: index },
    ...[layer, config, manifest].map((blob) => ({
      name: `blobs/sha256/${digest(blob).slice('sha256:'.length)}`,
      mode: 0o644,
      content: blob,
    })),
  ]);
}

function descriptor(mediaType: string, blob: Buffer) {
  return { mediaType, digest: digest(blob), size: blob.length };
}

function digest(blob: Buffer): string {
  return `sha256:${createHash('sha256').update(blob).digest('hex')}`;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
