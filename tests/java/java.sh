language Java
