export { memberId, membersOf } from './etcd-members.ts';
export { foundingMembers, placeServices } from './place-services.ts';
export { hostLabels } from './planes.ts';
export type { Placement } from './scene.ts';
