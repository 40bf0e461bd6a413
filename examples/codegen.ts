// Types and typed documents of the screens, from the SDL: npm run codegen. A running service works as schema too.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: process.env.MARQUEE_SCHEMA ?? "../schema/schema.graphql",
  documents: ["screens/*.graphql"],
  generates: {
    "./generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: { unmaskFunctionName: "readFragment" } },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        scalars: { Date: "string", DateTime: "string", ID: "string", JSON: "unknown" },
      },
    },
  },
};

export default config;
