import effect from "@effect/eslint-plugin"
import tseslint from "typescript-eslint"

export default tseslint.config(
  { ignores: ["**/dist", "**/node_modules"] },
  {
    files: ["src/**/*.ts", "test/**/*.ts"],
    languageOptions: { parser: tseslint.parser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    plugins: { "@typescript-eslint": tseslint.plugin, "@effect": effect },
    rules: {
      "@effect/dprint": ["error", {
        config: {
          indentWidth: 2,
          lineWidth: 120,
          operatorPosition: "maintain",
          semiColons: "asi",
          quoteStyle: "alwaysDouble",
          trailingCommas: "never",
          "arrowFunction.useParentheses": "force"
        }
      }],
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "object-shorthand": "error",
      "no-console": "error",
      "prefer-const": "error"
    }
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "@effect/no-import-from-barrel-package": ["error", {
        packageNames: ["effect", "@effect/platform", "@effect/platform-node", "@effect/cli"]
      }],
      "no-restricted-globals": [
        "error",
        { name: "Date", message: "Time comes from Clock; decisions use internal/Clock.ts." },
        { name: "setTimeout", message: "Use Effect.sleep or a Schedule." },
        { name: "setInterval", message: "Use a Schedule." },
        { name: "process", message: "Import it from node:process." }
      ],
      "max-lines-per-function": ["error", { max: 70, skipComments: true, skipBlankLines: true }]
    }
  },
  {
    files: [
      "src/cli/commands/demo.ts",
      "src/cli/runMain.ts",
      "src/command/guardian.ts",
      "src/command/guardianClient.ts"
    ],
    rules: { "no-restricted-globals": "off" }
  },
  {
    // This code runs in a browser.
    files: ["src/dashboard/page/**/*.ts"],
    rules: { "no-restricted-globals": "off" }
  },
  {
    files: ["test/bench/**/*.ts", "test/examples/**/*.ts"],
    rules: { "no-console": "off" }
  }
)
