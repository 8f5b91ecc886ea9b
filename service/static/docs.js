// Shows the service's own OpenAPI document; every address is relative, so that it works
// behind a proxy's prefix and without the internet.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  syntaxHighlight: { activated: true, theme: "agate" },
  presets: [SwaggerUIBundle.presets.apis],
});
