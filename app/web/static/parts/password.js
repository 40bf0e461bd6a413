// The rule of passwords.

const LEAST = 8;
const LEAST_DIFFERENT = 4;

export const PASSWORD_HINT = `At least ${LEAST} characters, ${LEAST_DIFFERENT} of them different.`;

// What is wrong with a password, or null: the rules of the service that a browser can check. The service also
// refuses common passwords.
export function passwordRules(password, username) {
  const left = LEAST - [...password].length;
  if (left > 0) return `At least ${LEAST} characters: ${left} more.`;
  if (password.toLowerCase() === username.trim().toLowerCase()) return "Not the same as your name.";
  const different = LEAST_DIFFERENT - new Set(password.toLowerCase()).size;
  if (different > 0) return `At least ${LEAST_DIFFERENT} different characters: ${different} more.`;
  return null;
}
