import type { Container, ContainerSpec, Image } from "../../src/container/runtime.ts";

export function newImage(reference: string, fields: Partial<Image> = {}): Image {
  return {
    id: `sha256:${reference.replace(/\W/g, "").padEnd(8, "0")}`,
    tags: [reference],
    digests: [],
    exposedPorts: [8080],
    user: "app",
    hasHealthcheck: false,
    sizeBytes: 1,
    createdAt: new Date(0),
    ...fields,
  };
}

export function newContainer(id: string, spec: ContainerSpec, image: Image): Container {
  return {
    id,
    name: spec.name,
    image: spec.body.Image,
    imageId: image.id,
    status: "created",
    health: image.hasHealthcheck ? "starting" : "none",
    pid: null,
    exitCode: null,
    oomKilled: false,
    error: "",
    createdAt: new Date(),
    startedAt: null,
    restartCount: 0,
    labels: spec.body.Labels ?? {},
    ports: [],
    addresses: [],
  };
}
