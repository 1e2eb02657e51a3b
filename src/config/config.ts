import { type AssetsConfig, assetsSchema, type ServerConfig, serverSchema } from "./archives.ts";
import { type ContainerConfig, containerSchema } from "./container.ts";

export type AgentConfig = ServerConfig | AssetsConfig | ContainerConfig;

/** What each agent's flags and variables must be, and the configuration they make. */
export const agentSchemas = { assets: assetsSchema, server: serverSchema, container: containerSchema };
