import { artifactsOf, supportedVersions } from '@rancher/components';
import { Type } from 'typebox';
import type { App } from '../../../context.ts';
import { component } from '../../../http/components.ts';
import { listOf, problems } from '../../../http/schemas.ts';

const versionSchema = component(
  'Version',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Version'),
    name: Type.String({ description: 'Kubernetes version, without a leading v' }),
    default: Type.Boolean({ description: 'What an environment gets that names none' }),
    artifacts: Type.Array(Type.Object({ name: Type.String(), version: Type.String() })),
  }),
);
const versionList = listOf('VersionList', versionSchema);

export function versions(app: App): void {
  app.get(
    '/v1/versions',
    {
      schema: {
        operationId: 'listVersions',
        tags: ['versions'],
        summary: 'Kubernetes versions that environments can have',
        response: { 200: versionList, ...problems() },
      },
    },
    async () => ({
      items: supportedVersions.map(({ version, default: isDefault }) => ({
        id: version,
        kind: 'Version' as const,
        name: version,
        default: isDefault === true,
        artifacts: artifactsOf(version),
      })),
    }),
  );
}
