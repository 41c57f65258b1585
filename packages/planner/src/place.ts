/** The key of what runs of a service on a host. */
export const place = (service: string, hostId: string) => `${service}/${hostId}`;
