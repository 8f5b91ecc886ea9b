"""Single lines as people write them, in front of a notebook, a course's note, or a paper."""

from __future__ import annotations

LINES = """
(x + y) * z
x*y + (x + z)
x * y * z
3*x**2 + 2*x - 7
x**3 - 3*x*y**2
1 / (1 + np.exp(-x))
1/(1+math.exp(-x))
1.0 / (1.0 + np.exp(-(w[0]*v[0] + w[1]*v[1] + w[2])))
max(x, y)
max(x, y) * z
min(x, y, z)
max(x, 0)
max(0, 1 - x*y)
(x*y + max(z, w[0])) * 2
abs(x - y)
-x
+x - -y
x - y - z
x / y / z
z ** y ** 2
-x ** 2
(-x) ** 2
2 ** x
x ** -1
x % 2
x // 2
7 // 2 * x
7 % 4 + x
1e-3 * x + 1_000 * y
.5 * x
x if x > y else y
x * (x > 0)
(x > y) * x + (x <= y) * y
x and y
not x > 0
0 < x < 3
x > 0 and y < 0
(v > 0) & (v < 1)
(v > 0) | (w > 0)
~(v > 0)
(v > 0) ^ (w > 0)
np.sqrt(x**2 + y**2)
math.sqrt(x*x + y*y)
np.hypot(x, y)
np.log(z)
math.log(z)
math.log(z, 2)
math.log2(z)
math.log10(z) + math.log1p(z)
np.log(z) / np.log(10)
math.exp(x) - math.expm1(x)
math.sin(x) * math.cos(y) + math.tan(x)
math.sin(math.pi * x)
np.sin(2 * np.pi * x)
np.cos(x) ** 2 + np.sin(x) ** 2
np.sinh(x) / np.cosh(x)
np.tanh(x)
math.tanh(x) ** 2
np.arcsin(x / 10) + np.arccos(x / 10)
np.arctan(x)
math.atan(x)
math.floor(x) + math.ceil(y)
math.fabs(x)
math.pow(z, 2)
pow(x, 2)
pow(x, 3) + pow(2, x)
round(x, 1)
round(x)
np.round(v, 2)
np.floor(v) + np.ceil(v)
np.exp(np.log(z))
np.exp(-0.5 * ((x - y) / z) ** 2) / (z * np.sqrt(2 * np.pi))
x * np.e ** y
float(x) * 2
np.float64(x) + 1
np.float64(3) * x
x + len(v)
x * v.shape[0]
x * v.size + v.ndim
v.sum()
v.sum() / len(v)
v.sum() / v.size
v.mean()
v.max() - v.min()
v.std()
v.var()
v.var(ddof=1)
np.var(v, ddof=1)
np.std(v)
v.prod()
v.cumsum()
v[0] * w[1] - v[1] * w[0]
v[-1]
v[1:]
v[:-1] - v[1:]
v[::-1]
v[::2]
v[[0, 2]]
v[np.array([2, 0])]
v[range(2)]
v[1:] * w[:-1]
v @ w
v.dot(w)
np.dot(v, w)
np.vdot(v, w)
np.inner(v, w)
sum(v * w)
np.sum(v * w)
np.sum(v * w, axis=0)
sum([x, y, z])
sum(v)
v.T @ w
np.outer(v, w)
np.outer(v, w).sum(axis=1)
np.cross(v, w)
np.linalg.norm(v)
np.linalg.norm(v - w)
np.linalg.norm(v, 1)
np.linalg.norm(v, ord=np.inf)
np.linalg.norm(v) ** 2
np.linalg.norm(A)
np.linalg.norm(A, axis=1)
np.linalg.norm(A, axis=1, keepdims=True)
np.linalg.norm(A, 'fro')
v / np.linalg.norm(v)
v @ w / (np.linalg.norm(v) * np.linalg.norm(w))
np.sqrt(np.sum((v - w)**2))
np.sqrt(((v - w) ** 2).mean())
((v - w) ** 2).sum()
np.mean((v - w)**2)
np.mean(np.abs(v - w))
np.square(v - w).sum() / 2
np.power(v, 2).sum()
np.maximum(v, 0)
np.maximum(0, v)
np.maximum(v, w)
np.minimum(v, w)
np.maximum(0.01 * v, v)
np.where(v > 0, v, 0)
np.where(v > 0, v, 0.01 * v)
np.where(v > 0, v, np.exp(v) - 1)
np.where(v < w, v, w)
(v > 0).astype(float)
(v > 0).astype(np.float64) * v
(v > 0).sum()
np.sum(v > 0)
np.mean(v > w)
np.any(v > 0)
np.all(v > 0)
np.clip(v, -1, 1)
v.clip(0, 1)
np.clip(v, 0, None)
np.sign(v)
np.abs(v).max()
np.exp(v) / np.sum(np.exp(v))
np.exp(v - v.max()) / np.exp(v - v.max()).sum()
np.exp(v - np.max(v)) / np.sum(np.exp(v - np.max(v)))
np.log(np.sum(np.exp(v)))
np.max(v) + np.log(np.sum(np.exp(v - np.max(v))))
np.log(np.exp(v).sum()) - v[1]
-np.log(np.exp(v)[0] / np.exp(v).sum())
np.log1p(np.exp(v))
v * (1 - v)
1 - np.tanh(v) ** 2
v / (1 + np.abs(v))
v * (1 / (1 + np.exp(-v)))
0.5 * v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v ** 3)))
np.argmax(v)
v.argmin()
np.array([x, y, z])
np.array([x, y, z]) * 2
np.array([[x, y], [y, z]])
np.array([[x, y], [y, z]]) @ np.array([1, 2])
np.stack([v, w])
np.stack([v, w], axis=1)
np.stack((v, w)).sum(axis=0)
np.concatenate([v, w])
np.concatenate((v, w))
np.hstack([v, w])
np.vstack([v, w])
np.vstack((A, A)).shape[0] * x
np.hstack((A, np.ones((3, 1))))
np.column_stack((v, w))
np.append(v, w)
np.c_[v, w]
np.zeros(3) + v
np.zeros_like(v) + 1
np.ones((3, 2)) * x
np.ones_like(A) - A
np.full(3, 0.5) * v
np.full((2, 2), x)
np.eye(3) * v
M @ np.eye(3)
np.identity(3) + M
np.eye(3)[[0, 2]] * x
np.arange(3) * v
np.arange(1, 4) ** 2 * x
np.linspace(0, 1, 3) * v
np.arange(12).reshape(3, 4) * A
np.diag(M)
np.diag(v)
np.diag(v) @ M
np.trace(M)
M.trace()
np.diagonal(M)
M.diagonal()
np.triu(M)
np.tril(M, -1)
M.T
M.T @ M
M @ v
v @ M
v @ M @ w
v.dot(M).dot(w)
v.T.dot(M).dot(v)
M @ M.T + np.eye(3)
np.matmul(M, v)
np.dot(M, A)
A @ B
A.dot(B)
np.dot(A, B)
(A @ B).trace()
np.trace(A @ B)
np.sum(A * B.T)
A * v[:, None]
A * v[:, np.newaxis]
A + v.reshape(3, 1)
A + v.reshape(-1, 1)
np.expand_dims(v, 1) * A
np.expand_dims(v, axis=0) @ A
A - A.mean(axis=0)
A - A.mean(axis=1, keepdims=True)
(A - A.mean(axis=0)) / A.std(axis=0)
(A - A.mean(0)) / np.sqrt(A.var(0) + 1e-5)
A / A.sum(axis=1, keepdims=True)
A / A.sum(1)[:, None]
A / np.sum(A, axis=1).reshape(-1, 1)
np.exp(A) / np.exp(A).sum(axis=1, keepdims=True)
A[0]
A[0, 1]
A[0][1]
A[1, :]
A[:, 1]
A[:, 1:3]
A[1:, :-1]
A[:, ::-1]
A[::2]
A[-1]
A[..., 0]
A[:, None, :]
A[:, [2, 0]]
A[[0, 1], [1, 2]]
A[np.arange(3), y_]
A[range(3), y_]
A[np.arange(len(y_)), y_]
A[y_]
-np.log(np.exp(A)[range(3), y_] / np.exp(A).sum(axis=1)).mean()
A.sum()
A.sum(axis=0)
A.sum(1)
A.sum(axis=(0, 1))
np.sum(A, axis=-1, keepdims=True)
A.max(axis=1)
np.max(A, axis=1, keepdims=True)
np.amax(A, axis=0)
A.min(0)
A.mean(axis=1)
np.mean(A, 0)
np.prod(A, axis=1)
np.cumsum(A, axis=1)
np.argmax(A, axis=1)
A.reshape(4, 3)
A.reshape(-1)
A.reshape(2, -1)
A.reshape((2, 6))
np.reshape(A, (4, 3))
A.ravel()
A.flatten()
A.flatten().dot(A.flatten())
A.T.reshape(-1)
A.T.reshape(A.shape)
A.transpose()
np.transpose(A)
T.transpose(0, 2, 1)
np.transpose(T, (1, 0, 2))
T.swapaxes(1, 2)
np.swapaxes(T, 0, 1)
np.moveaxis(T, 0, -1)
T.T
T.reshape(T.shape[0], -1)
T.reshape(len(T), -1) @ np.ones(12)
T.mean(axis=(1, 2))
T.sum(axis=-1)
T[:, 0, :]
T[0]
T[..., -1]
T @ B
T.dot(B)
np.tensordot(T, B, axes=1)
np.tensordot(T, A, axes=([1, 2], [0, 1]))
np.einsum('ij,jk->ik', A, B)
np.einsum('i,i->', v, w)
np.einsum('ij,j->i', M, v)
np.einsum('bij,jk->bik', T, B)
np.einsum('ii', M)
np.squeeze(v[None, :])
np.squeeze(A[:, :1], axis=1)
np.repeat(v, 2)
np.repeat(A, 2, axis=0)
np.tile(v, 2)
np.tile(v, (2, 1))
np.roll(v, 1)
np.roll(A, 1)
np.roll(A, 1, axis=0)
np.flip(v)
np.flip(A, axis=1)
np.fliplr(A)
np.flipud(A)
np.pad(v, 1)
np.pad(A, ((1, 1), (2, 0)))
np.pad(A, 1, mode='constant')
np.pad(T, ((0, 0), (1, 1), (1, 1)), 'constant')
np.split(v, 3)[0]
np.split(A, 2, axis=1)[1]
np.diff(v)
np.sort(v)
np.kron(v, w)
np.linalg.inv(M)
np.linalg.inv(M) @ v
np.linalg.solve(M, v)
np.linalg.det(M)
np.linalg.slogdet(M)[1]
np.log(np.linalg.det(M.T @ M))
np.linalg.inv(M.T @ M + 0.1 * np.eye(3)) @ M.T @ v
np.linalg.cholesky(M.T @ M + np.eye(3))
np.linalg.svd(A, full_matrices=False)[1]
np.linalg.eigvalsh(M + M.T)
np.linalg.matrix_power(M, 3)
np.broadcast_to(v, (2, 3))
np.atleast_2d(v) @ M
np.take(v, [0, 2])
np.logaddexp(x, y)
np.average(v, weights=np.abs(w))
np.ptp(v)
np.nansum(v)
np.log2(np.abs(v)) + np.log10(np.abs(v))
np.exp2(v) + np.expm1(v)
np.reciprocal(v)
np.arctan2(x, y)
math.atan2(x, y)
np.deg2rad(v)
np.heaviside(v, 0.5)
np.sum(A, where=A > 0)
np.fmax(v, w) + np.fmin(v, w)
np.subtract(v, w) * np.add(v, w)
np.multiply(v, w).sum()
np.divide(v, 2)
np.negative(v)
np.copy(v) * 2
v.copy()
v.astype(float) * 2
v.item(0)
sigmoid(x)
relu(v)
softmax(v)
softmax(A, axis=1)
logsumexp(v)
cross_entropy(A, y_)
gelu(v)
log_softmax(A, axis=-1)
layer_norm(A, np.ones(4), np.zeros(4))
mse(v, w)
""".strip().splitlines()
"""One text a line. The last few are the catalogue's own, which NumPy hasn't."""

SHAPES = {
    "x": (),
    "y": (),
    "z": (),
    "v": (3,),
    "w": (3,),
    "A": (3, 4),
    "B": (4, 3),
    "M": (3, 3),
    "T": (2, 3, 4),
}
"""What the names of the lines stand for; `y_` are three labels, `z` is positive."""
