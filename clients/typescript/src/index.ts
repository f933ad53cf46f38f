import createFetchClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type Schemas = components["schemas"];

/** Client of a server. `token` is an access token or an API key. Paths, bodies and responses have the types of the API. */
export function createClient(baseUrl: string, token = ""): Client<paths> {
  return createFetchClient<paths>({ baseUrl, headers: token ? { Authorization: `Bearer ${token}` } : {} });
}
